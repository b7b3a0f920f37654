// Package matrix says which regimes a guard is measured in, judges what was measured, and shows it as a table and a page.
//
// A Cell is one regime. Design returns the cells by name and a choice in which every pair of values of two factors occurs.
// A File is what was measured in cells, by every contender; Judge sets a guard beside the best of all others. The package
// opens no connection and knows no scenario.
package matrix
