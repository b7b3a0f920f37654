// Package report holds what a run measured and shows it: JSON, tables with spread, charts.
//
// It knows no scenario and opens no connection. A Run is the answer of one scenario on one target; a File is every run
// of one command with the machine it ran on, and is the unit that is written, read again and plotted.
package report
