// Package agent runs the operator under test as a process, and measures what it takes of the machine.
package agent
