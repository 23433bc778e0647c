// The jobs as plain calls on one goroutine.

package main

func plainFib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return plainFib(n-1) + plainFib(n-2)
}

func plainQueens(b *board, row int) uint64 {
	if row == queensSide {
		return 1
	}
	var count uint64
	for column := 0; column < queensSide; column++ {
		if b.allows(row, column) {
			b[row] = int8(column)
			count += plainQueens(b, row+1)
		}
	}
	return count
}

func plainTree(node uint64, number int) uint64 {
	count := uint64(1)
	for at := 0; at < number; at++ {
		next := child(node, at)
		count += plainTree(next, children(next))
	}
	return count
}

func plainSort(numbers []int32) {
	if len(numbers) <= few {
		sortFew(numbers)
		return
	}
	before, after := divide(numbers)
	plainSort(before)
	plainSort(after)
}

func plainLoop(results []uint64) {
	for at := range results {
		results[at] = item(uint64(at))
	}
}
