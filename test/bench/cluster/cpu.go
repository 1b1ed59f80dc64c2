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

package cluster

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

// ticks is the number of clock ticks in a second of /proc/<pid>/stat, which is 100 on every architecture that Go runs Linux on.
const ticks = 100

// benchmark is the name under which the processor time of this process is counted, the bare client's among it.
const benchmark = "benchmark"

// Processors returns the processor time that each process of the cluster has used so far, and this one, by their names.
func (c *Cluster) Processors() (map[string]time.Duration, error) {
	used := map[string]time.Duration{}
	for _, record := range append([]process.Record{{Name: benchmark, PID: os.Getpid()}}, c.started...) {
		content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", record.PID))
		if err != nil {
			return nil, err
		}
		if used[record.Name], err = cpu(string(content)); err != nil {
			return nil, fmt.Errorf("%s: %w", record.Name, err)
		}
	}
	return used, nil
}

// cpu returns the sum of utime and stime.
func cpu(stat string) (time.Duration, error) {
	// The second field is the program's name in parentheses and may hold anything.
	_, after, found := strings.Cut(stat[max(0, strings.LastIndexByte(stat, ')')):], " ")
	fields := strings.Fields(after)
	if !found || len(fields) < 13 {
		return 0, fmt.Errorf("unexpected /proc/<pid>/stat %q", stat)
	}
	var sum int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}
