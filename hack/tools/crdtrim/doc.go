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

// Command crdtrim makes a generated CustomResourceDefinition small enough for plain "kubectl apply".
//
// "kubectl apply" keeps the whole object, as JSON, in an annotation, and annotations are limited to 262,144 bytes. A CRD that embeds a
// PodTemplateSpec carries Kubernetes' own descriptions of every Pod field, which alone is several times that. controller-gen can only
// shorten descriptions everywhere (maxDescLen), ours included. crdtrim drops those deep below the embedded Pod template, where "kubectl
// explain pod.spec" says the same, and keeps everything else: our descriptions, types, enums, defaults, patterns, x-kubernetes-* (list
// types and map keys, which server-side apply merges by).
//
// It also joins the lines of each paragraph, since "kubectl explain" wraps them itself.
//
// It fails, and changes nothing, when a CRD is still above its limit, when it finds no Pod template to trim (the field was renamed, so
// its work would silently no longer be done), or when a schema isn't what it expects.
package main
