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

package report

import (
	"bufio"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// ThisMachine describes the machine that the program runs on.
func ThisMachine() Machine {
	return Machine{
		CPU: field("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), Memory: memory(field("/proc/meminfo", "MemTotal")),
		Kernel: release(firstWord("/proc/sys/kernel/osrelease")), Go: runtime.Version(), Load: firstWord("/proc/loadavg"),
	}
}

// field returns the value of a line "name: value".
func field(file, name string) string {
	content, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer content.Close()
	lines := bufio.NewScanner(content)
	for lines.Scan() {
		if key, value, found := strings.Cut(lines.Text(), ":"); found && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// memory rounds "16384 kB" to GiB.
func memory(text string) string {
	kib, err := strconv.ParseFloat(strings.TrimSuffix(text, " kB"), 64)
	if err != nil {
		return text
	}
	return strconv.FormatFloat(kib/(1<<20), 'f', 0, 64) + " GiB"
}

// release leaves out what a distribution adds to the version of the kernel.
func release(text string) string {
	version, _, _ := strings.Cut(text, "-")
	return version
}

func firstWord(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.Fields(string(content) + " -")[0]
}
