// Package kind is the cluster made by kind, where Docker and kind are there.
package kind
