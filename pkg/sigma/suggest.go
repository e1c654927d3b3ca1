package sigma

import "fmt"

// suggestion names what was probably meant, as the end of a sentence; "" where nothing is near.
func suggestion(word string, of []string) string {
	w := normal(word)
	best, name := len(w)/4+2, ""
	for _, candidate := range of {
		if d := distance(w, normal(candidate), best); d < best {
			best, name = d, candidate
		}
	}
	if name == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", name)
}

// distance is the number of bytes to insert, delete or replace to make b of a; limit if it is that or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > maxSuggested {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return min(row[len(b)], limit)
}

// maxSuggested is the longest word, in bytes, for which a likely one is looked for.
const maxSuggested = 64
