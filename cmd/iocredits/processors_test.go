package main

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestAnEngineThatHasItsProcessAloneHasProcessorsForTheDisk(t *testing.T) {
	before := runtime.GOMAXPROCS(0)
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })

	t.Setenv("GOMAXPROCS", "")
	(&Main{}).addProcessors()
	assert.Equal(t, before, runtime.GOMAXPROCS(0), "of a process that others share")

	t.Setenv("GOMAXPROCS", "2")
	(&Main{Alone: true}).addProcessors()
	assert.Equal(t, before, runtime.GOMAXPROCS(0), "what the operator says stands")

	t.Setenv("GOMAXPROCS", "")
	(&Main{Alone: true}).addProcessors()
	assert.Equal(t, before+diskThreads, runtime.GOMAXPROCS(0))
}
