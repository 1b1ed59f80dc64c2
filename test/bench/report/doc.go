// Package report holds the results of a benchmark, and renders them as Markdown tables and as a chart.
package report
