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

// Rclone is rclone with the few commands and backends that the spool's recipe needs: it copies to S3 and verifies, and serves S3 as the store
// of the recipe. It is built from rclone's own Go module where its image can't be pulled; elsewhere docker.io/rclone/rclone does the same.
package main

import (
	_ "github.com/rclone/rclone/backend/local" // the volume
	_ "github.com/rclone/rclone/backend/s3"    // the store
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/checksum" // verifies the upload
	_ "github.com/rclone/rclone/cmd/copy"     // uploads
	_ "github.com/rclone/rclone/cmd/move"     // ships
	_ "github.com/rclone/rclone/cmd/serve/s3" // the store
)

func main() { cmd.Main() }
