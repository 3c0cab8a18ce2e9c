//go:build race

package esdbstore_test

func init() { underRace = true }
