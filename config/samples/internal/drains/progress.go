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

package drains

import "fmt"

// Progress is the line by which a drain says in its log how far it is. The operator shows the latest one in the status of the policy, if that has
// spec.progressDeadlineSeconds.
func Progress(done, all int64, words string) string {
	percent := int64(100)
	if all > 0 {
		percent = min(100, done*100/all)
	}
	return fmt.Sprintf("drain-progress: %d%% %s", percent, words)
}
