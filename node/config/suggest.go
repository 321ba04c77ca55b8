package config

import "strings"

// suggestion returns "; did you mean X?" for the known key that a wrong one most likely stands for, or nothing. A key that
// is right but in the wrong table is recognised by its last part.
func suggestion(wrong string, known []string) string {
	closest := Nearest(wrong, known)
	if closest == "" {
		last := wrong[strings.LastIndexByte(wrong, '.')+1:]
		for _, key := range known {
			if key[strings.LastIndexByte(key, '.')+1:] == last {
				closest = key
				break
			}
		}
	}
	if closest == "" {
		return "; remove it, or see docs/configuration.md for the keys there are"
	}
	return "; did you mean " + closest + "?"
}

// Nearest returns the candidate at the smallest edit distance, if that is at most a quarter of the word and at most 3.
func Nearest(word string, candidates []string) string {
	best, closest := min(3, max(1, len(word)/4))+1, ""
	for _, candidate := range candidates {
		if d := distance(word, candidate); d < best {
			best, closest = d, candidate
		}
	}
	return closest
}

// distance is the Levenshtein distance of two words in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
