// What the jobs are made of; ../corepool/jobs.rs has the same, with comments.

package main

const (
	fibNumber    = 32
	queensSide   = 12
	treeSeed     = 1
	rootChildren = 2000
	someChildren = 8
	chance       = 535_500_000
	numbersCount = 10_000_000
	few          = 32
	items        = 20_000
)

func mix(seed uint64) uint64 {
	z := seed + 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

type board [queensSide]int8

func (b board) with(row, column int) board {
	b[row] = int8(column)
	return b
}

func (b *board) allows(row, column int) bool {
	for earlier := 0; earlier < row; earlier++ {
		distance, apart := row-earlier, column-int(b[earlier])
		if apart == 0 || apart == distance || apart == -distance {
			return false
		}
	}
	return true
}

func children(node uint64) int {
	if node>>32 < chance {
		return someChildren
	}
	return 0
}

func child(node uint64, number int) uint64 {
	return mix(node + uint64(number))
}

func numbers() []int32 {
	numbers := make([]int32, numbersCount)
	for at := range numbers {
		numbers[at] = int32(mix(uint64(at)) >> 33)
	}
	return numbers
}

func digest(numbers []int32) uint64 {
	var sum uint64
	for at, number := range numbers {
		if at > 0 && numbers[at-1] > number {
			panic("the numbers are out of order")
		}
		sum += uint64(at+1) * uint64(number)
	}
	return sum
}

func sortFew(numbers []int32) {
	for end := 1; end < len(numbers); end++ {
		number, at := numbers[end], end
		for ; at > 0 && numbers[at-1] > number; at-- {
			numbers[at] = numbers[at-1]
		}
		numbers[at] = number
	}
}

func divide(numbers []int32) ([]int32, []int32) {
	pivot := numbers[len(numbers)/2]
	from, to := 0, len(numbers)
	for from < to {
		for numbers[from] < pivot {
			from++
		}
		for numbers[to-1] > pivot {
			to--
		}
		if from < to {
			numbers[from], numbers[to-1] = numbers[to-1], numbers[from]
			from++
			to--
		}
	}
	return numbers[:to], numbers[from:]
}

func item(number uint64) uint64 {
	steps := number / 16
	if (mix(number)>>1)%100 == 0 {
		steps *= 1000
	}
	state := number
	for ; steps > 0; steps-- {
		state = state*6364136223846793005 + 1442695040888963407
		state ^= state >> 29
	}
	return state
}

func sum(counts []uint64) uint64 {
	var sum uint64
	for _, count := range counts {
		sum += count
	}
	return sum
}
