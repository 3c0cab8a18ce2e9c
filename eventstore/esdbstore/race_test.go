//go:build race

package esdbstore_test

// underRace is true where the race detector runs.
const underRace = true
