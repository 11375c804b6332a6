// SPDX-License-Identifier: MIT

// micro-go: the figures of Go's scheduler and timers on one processor.
//
//	micro-go [-runs N] [NAME...]
//
// One line of JSON a figure, as weir-micro prints it. A figure is measured in slices, the first of
// which warms up; with one run more the program does one slice more and nothing else. Exit status
// 2: usage; 3: no figure has such a name.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	yieldCount = 400000
	spawnCount = 100000
	batch      = 64
	batches    = spawnCount / batch
	alarms     = 100000
)

var (
	runs     = 41
	names    []string
	reported bool
)

func usage() {
	fmt.Fprintln(os.Stderr, "usage: micro-go [--runs N] [NAME...]")
	os.Exit(2)
}

func readArguments() {
	args := os.Args[1:]
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		if args[0] != "--runs" || len(args) < 2 {
			usage()
		}
		n, err := strconv.Atoi(args[1])
		if err != nil || n < 1 {
			usage()
		}
		runs, args = n, args[2:]
	}
	names = args
}

func wanted(name string) bool {
	for _, prefix := range names {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return len(names) == 0
}

func report(name, unit string, operations int, samples []float64) {
	sort.Float64s(samples)
	fmt.Printf("{\"name\": \"%s\", \"unit\": \"%s\", \"best\": %.3f, \"median\": %.3f, "+
		"\"target\": 0, \"operations\": %d}\n",
		name, unit, samples[0], samples[len(samples)/2], operations)
	reported = true
}

// Nanoseconds of each of the operations that one call of slice does.
func measure(name string, operations int, slice func()) {
	slice()
	samples := make([]float64, runs)
	for i := range samples {
		start := time.Now()
		slice()
		samples[i] = float64(time.Since(start).Nanoseconds()) / float64(operations)
	}
	report(name, "ns", operations, samples)
}

func yields(name string, tasks int) {
	if !wanted(name) {
		return
	}
	over := false
	var all sync.WaitGroup
	for i := 1; i < tasks; i++ {
		all.Add(1)
		go func() {
			for !over {
				runtime.Gosched()
			}
			all.Done()
		}()
	}
	rounds := yieldCount / tasks
	measure(name, rounds*tasks, func() {
		for i := 0; i < rounds; i++ {
			runtime.Gosched()
		}
	})
	over = true
	all.Wait()
}

func spawns() {
	if wanted("spawn.run.exit") {
		before := runtime.NumGoroutine()
		measure("spawn.run.exit", batches*batch, func() {
			for i := 0; i < batches; i++ {
				for k := 0; k < batch; k++ {
					go func() {}()
				}
				runtime.Gosched()
			}
			for runtime.NumGoroutine() > before {
				runtime.Gosched()
			}
		})
	}
	if wanted("spawn.join") {
		measure("spawn.join", spawnCount, func() {
			var one sync.WaitGroup
			for i := 0; i < spawnCount; i++ {
				one.Add(1)
				go func() {
					one.Done()
				}()
				one.Wait()
			}
		})
	}
}

var drawn uint32 = 1

// One to sixty, by xorshift32 (Marsaglia 2003): cheaper than what is measured.
func draw() time.Duration {
	drawn ^= drawn << 13
	drawn ^= drawn >> 17
	drawn ^= drawn << 5
	return 1 + time.Duration(uint64(drawn)*60>>32)
}

// By AfterFunc: since Go 1.23 a timer with a channel is not armed until somebody waits for it.
func sleeps(name string, sleepers int) {
	if !wanted(name) {
		return
	}
	nothing := func() {}
	pending := make([]*time.Timer, sleepers)
	for i := range pending {
		pending[i] = time.AfterFunc(draw()*time.Minute+time.Duration(i)*time.Microsecond, nothing)
	}
	measure(name, alarms, func() {
		for i := 0; i < alarms; i++ {
			time.AfterFunc(draw()*time.Second, nothing).Stop()
		}
	})
	for _, timer := range pending {
		timer.Stop()
	}
}

func resident() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		panic(err)
	}
	return float64(pages) * float64(os.Getpagesize())
}

func parked() {
	const tasks = 100000
	if !wanted("parked.100k.each") {
		return
	}
	debug.FreeOSMemory() // what was resident before would not be seen
	before := resident()
	started := 0
	for i := 0; i < tasks; i++ {
		go func() {
			started++
			time.Sleep(time.Hour)
		}()
	}
	for started < tasks {
		runtime.Gosched()
	}
	report("parked.100k.each", "bytes", 0, []float64{(resident() - before) / tasks})
}

func main() {
	readArguments()
	// One processor: goroutines take turns, so what they share needs no locks here.
	runtime.GOMAXPROCS(1)
	yields("yield.16", 16)
	yields("yield.4096", 4096)
	spawns()
	sleeps("sleep.add.remove.1k", 1000)
	sleeps("sleep.add.remove.100k", 100000)
	sleeps("sleep.add.remove.1M", 1000000)
	parked()
	if !reported {
		fmt.Fprintln(os.Stderr, "micro-go: no figure has such a name")
		os.Exit(3)
	}
}
