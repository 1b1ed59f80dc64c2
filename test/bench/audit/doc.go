// Package audit reads the API server's audit log and counts requests in it.
package audit
