package load

// bitmap is a set of sequence numbers that are mostly consecutive.
type bitmap []uint64

// add puts a number in, and tells whether it is new.
func (b *bitmap) add(number uint64) bool {
	word, bit := number/64, uint64(1)<<(number%64)
	for uint64(len(*b)) <= word {
		*b = append(*b, 0)
	}
	fresh := (*b)[word]&bit == 0
	(*b)[word] |= bit
	return fresh
}

// word returns 64 numbers at once, from 64*i on.
func (b bitmap) word(i int) uint64 {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// below has the bits of word i that stand for numbers less than limit.
func below(limit uint64, i int) uint64 {
	switch from := uint64(i) * 64; {
	case limit >= from+64:
		return ^uint64(0)
	case limit <= from:
		return 0
	default:
		return 1<<(limit-from) - 1
	}
}
