// Package sorting sorts lists of large records.
package sorting

import "sort"

// By sorts list as slices.SortStableFunc does. slices compiles its sort anew for each type, 8 to 27 KB of the program for each of the records that pages
// and consoles list; this one is the same for all, and a little slower.
func By[E any](list []E, compare func(a, b E) int) {
	sort.SliceStable(list, func(i, j int) bool { return compare(list[i], list[j]) < 0 })
}
