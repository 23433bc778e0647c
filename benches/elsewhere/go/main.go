// Go's side of the comparison: `PROGRAM WAY JOB WORKERS` warms up once, measures one run, and
// prints nanoseconds and the result. WAY is `plain` or `goroutines`.

package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"time"
)

type way struct {
	fib    func(n uint64) uint64
	queens func() uint64
	tree   func(node uint64, number int) uint64
	sort   func(numbers []int32)
	loop   func(results []uint64)
}

var ways = map[string]way{
	"plain": {
		plainFib,
		func() uint64 { return plainQueens(&board{}, 0) },
		plainTree,
		plainSort,
		plainLoop,
	},
	"goroutines": {
		forkFib,
		func() uint64 { return forkQueens(board{}, 0) },
		forkTree,
		forkSort,
		forkLoop,
	},
}

func run(way way, job string) (time.Duration, uint64) {
	var sorted []int32
	if job == "sort" {
		sorted = numbers()
	}
	// What the run before left is not collected in this one.
	runtime.GC()
	var result uint64
	begin := time.Now()
	switch job {
	case "fib":
		result = way.fib(fibNumber)
	case "queens":
		result = way.queens()
	case "tree":
		result = way.tree(mix(treeSeed), rootChildren)
	case "sort":
		way.sort(sorted)
	case "loop":
		results := make([]uint64, items)
		way.loop(results)
		result = sum(results)
	}
	taken := time.Since(begin)
	if job == "sort" {
		result = digest(sorted)
	}
	return taken, result
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: PROGRAM WAY JOB WORKERS")
		os.Exit(1)
	}
	workers, err := strconv.Atoi(os.Args[3])
	way, found := ways[os.Args[1]]
	if err != nil || !found {
		fmt.Fprintln(os.Stderr, "no such way, or not a number of workers")
		os.Exit(1)
	}
	runtime.GOMAXPROCS(workers)
	run(way, os.Args[2])
	taken, result := run(way, os.Args[2])
	fmt.Println(taken.Nanoseconds(), result)
}
