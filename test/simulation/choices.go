/*
Copyright 2026 The drain-operator Authors.

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
*/

package simulation

import (
	"math/rand/v2"
	"slices"
)

// choices is what one step of a history rests on: numbers that are drawn at random the first
// time, and read again when the history is replayed. Zero is always the tame choice, and it is
// what a list that is cut short goes on with, so a history shrinks by leaving steps out and
// by setting choices to zero.
type choices struct {
	random *rand.Rand // nil in a replay
	list   []uint32
	at     int
}

// pick returns a number from 0 to n-1.
func (c *choices) pick(n int) int {
	if n <= 1 {
		return 0
	}
	if c.random != nil {
		value := c.random.IntN(n)
		c.list = append(c.list, uint32(value))
		return value
	}
	if c.at >= len(c.list) {
		return 0
	}
	value := int(c.list[c.at]) % n
	c.at++
	return value
}

// chance is true in percent of 100 cases, and never in a list that is cut short.
func (c *choices) chance(percent int) bool {
	return c.pick(100) >= 100-percent
}

// weighted returns an index, each as often as its weight says.
func (c *choices) weighted(weights ...int) int {
	total := 0
	for _, weight := range weights {
		total += weight
	}
	value := c.pick(total)
	for i, weight := range weights {
		if value < weight {
			return i
		}
		value -= weight
	}
	return 0
}

// schedule is a history: the choices of its beginning, then those of each step.
type schedule [][]uint32

func (s schedule) clone() schedule {
	copied := make(schedule, len(s))
	for i := range s {
		copied[i] = slices.Clone(s[i])
	}
	return copied
}
