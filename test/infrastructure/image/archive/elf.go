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

package archive

import (
	"debug/elf"
	"fmt"
)

// machines maps the architectures that Go and container images name to those that ELF files name.
var machines = map[string]elf.Machine{
	"amd64":   elf.EM_X86_64,
	"arm64":   elf.EM_AARCH64,
	"ppc64le": elf.EM_PPC64,
	"riscv64": elf.EM_RISCV,
	"s390x":   elf.EM_S390,
}

// CheckStatic returns an error unless the file is a program that runs in an image with nothing else in it:
// an ELF file for the architecture that asks for no dynamic linker.
func CheckStatic(file, architecture string) error {
	program, err := elf.Open(file)
	if err != nil {
		return fmt.Errorf("%s is not a Linux program: %w", file, err)
	}
	defer program.Close()
	if machine, known := machines[architecture]; known && program.Machine != machine {
		return fmt.Errorf("%s is built for %s, the image is for %s: build it with GOARCH=%s", file, program.Machine, architecture, architecture)
	}
	for _, header := range program.Progs {
		if header.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and can't run in an empty image: build it with CGO_ENABLED=0", file)
		}
	}
	return nil
}
