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

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

const (
	// MessageFile is where the kubelet looks for a container's termination message.
	MessageFile = "/dev/termination-log"
	// ReceiptVariable has the receipt of the attempt in a drain's environment.
	ReceiptVariable = "DRAIN_RECEIPT"
	// maxWords keeps the message with its receipt below 1 KiB. The kubelet keeps less of it the more containers the Pod has, and cuts its end.
	maxWords = 900
)

// LeaveWords writes the termination message. The receipt, if there is one, is its end; it is for a drain that has ended by itself, with everything done,
// and this is the last thing that it does. Outside a Pod there is no such file, and without a receipt that is no error.
func LeaveWords(path, words, receipt string) error {
	message := Shorten(words)
	if receipt != "" {
		message = strings.TrimPrefix(message+"\n"+receipt+"\n", "\n")
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if errors.Is(err, os.ErrNotExist) && receipt == "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("writing the termination message: %w", err)
	}
	_, err = file.WriteString(message)
	return errors.Join(err, file.Close())
}

// Shorten cuts what is too long for a termination message, at its end, and says so.
func Shorten(words string) string {
	const more = " …"
	if len(words) <= maxWords {
		return words
	}
	return strings.ToValidUTF8(words[:maxWords-len(more)], "") + more
}
