//go:build !linux

package devhost

import "syscall"

// childAttributes leaves the handler alone: this system has no means to have it die with the host.
func childAttributes() *syscall.SysProcAttr { return nil }
