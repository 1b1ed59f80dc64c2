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
		Kernel: firstWord("/proc/sys/kernel/osrelease"), Go: runtime.Version(), Load: firstWord("/proc/loadavg"),
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

func firstWord(file string) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.Fields(string(content) + " -")[0]
}
