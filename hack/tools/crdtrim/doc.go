// Command crdtrim makes a generated CustomResourceDefinition small enough for plain "kubectl apply".
//
// "kubectl apply" keeps the whole object, as JSON, in an annotation, and annotations are limited to 262,144 bytes. A CRD that embeds a
// PodTemplateSpec carries Kubernetes' own descriptions of every Pod field, which alone is several times that. controller-gen can only
// shorten descriptions everywhere (maxDescLen), ours included. crdtrim drops those below the embedded Pod template and keeps everything
// else: our descriptions, types, enums, defaults, patterns, x-kubernetes-* (list types and map keys, which server-side apply merges by).
//
// What it drops is what "kubectl explain pod.spec" says anyway.
//
// It fails, and changes nothing, when a CRD is still above its limit, when it finds no Pod template to trim (the field was renamed, so
// its work would silently no longer be done), or when a schema isn't what it expects.
package main
