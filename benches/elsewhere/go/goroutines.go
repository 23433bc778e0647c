// The jobs by goroutines: of two parts one gets its own, of many each, with a WaitGroup a node.

package main

import "sync"

func forkFib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	var a uint64
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		a = forkFib(n - 1)
	}()
	b := forkFib(n - 2)
	wait.Wait()
	return a + b
}

func forkQueens(b board, row int) uint64 {
	if row == queensSide {
		return 1
	}
	var counts [queensSide]uint64
	var wait sync.WaitGroup
	for column := 0; column < queensSide; column++ {
		if b.allows(row, column) {
			wait.Add(1)
			go func(column int) {
				defer wait.Done()
				counts[column] = forkQueens(b.with(row, column), row+1)
			}(column)
		}
	}
	wait.Wait()
	return sum(counts[:])
}

func forkTree(node uint64, number int) uint64 {
	if number == 0 {
		return 1
	}
	counts := make([]uint64, number)
	var wait sync.WaitGroup
	wait.Add(number)
	for at := 0; at < number; at++ {
		go func(at int) {
			defer wait.Done()
			next := child(node, at)
			counts[at] = forkTree(next, children(next))
		}(at)
	}
	wait.Wait()
	return 1 + sum(counts)
}

func forkSort(numbers []int32) {
	if len(numbers) <= few {
		sortFew(numbers)
		return
	}
	before, after := divide(numbers)
	var wait sync.WaitGroup
	wait.Add(1)
	go func() {
		defer wait.Done()
		forkSort(before)
	}()
	forkSort(after)
	wait.Wait()
}

func forkLoop(results []uint64) {
	var wait sync.WaitGroup
	wait.Add(len(results))
	for at := range results {
		go func(at int) {
			defer wait.Done()
			results[at] = item(uint64(at))
		}(at)
	}
	wait.Wait()
}
