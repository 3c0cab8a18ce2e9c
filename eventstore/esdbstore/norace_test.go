//go:build !race

package esdbstore_test

const underRace = false
