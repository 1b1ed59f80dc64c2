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

package node

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/statefulset-dev/drain-operator/test/infrastructure/cluster/process"
)

const (
	// busSocket is where programs look for the node's message bus.
	busSocket   = "/run/dbus/system_bus_socket"
	login       = "org.freedesktop.login1"
	loginObject = dbus.ObjectPath("/org/freedesktop/login1")
	manager     = login + ".Manager"
	// settle is the time that a message needs on the bus, by far.
	settle = time.Second
	// shutdownConfig makes the kubelet wait for the news of a shutdown.
	shutdownConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
shutdownGracePeriod: 20s
shutdownGracePeriodCriticalPods: 5s
`
)

// shutDown makes the kubelet hear of a shutdown as it does on a machine with systemd: it holds an inhibitor lock of logind, which tells it, and
// waits for it to let go. The bus is a real one; logind is Logind. The node isn't powered off by this.
func (n Node) shutDown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 90*time.Second)
	defer cancel()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		return errors.New("a shutdown needs the program dbus-daemon (on Debian, the package dbus-daemon)")
	}
	first, _ := n.first()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(fmt.Sprintf("/proc/%d/root", first.PID), busSocket)), 0o755); err != nil {
		return err
	}
	if _, err := process.Start(process.Spec{
		Name: n.ProcessName("bus"), State: n.State, Records: n.Processes(), Log: n.log("bus"),
		Args: append(n.enter(), daemon, "--config-file="+filepath.Join(n.NodeConfig(), "bus.conf"), "--nofork", "--nopidfile"),
	}); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := append(n.enter(), self, "node-logind")
	logind := exec.CommandContext(ctx, args[0], args[1:]...)
	logind.Stderr = os.Stderr
	output, err := logind.StdoutPipe()
	if err != nil {
		return err
	}
	if err := logind.Start(); err != nil {
		return err
	}
	line, readErr := bufio.NewReader(output).ReadString('\n')
	if line == "ready\n" {
		if err := os.WriteFile(filepath.Join(n.KubeletDropIns(), "90-shutdown.conf"), []byte(shutdownConfig), 0o644); err != nil {
			return err
		}
		// It asks for the lock once, when it starts.
		if err := n.RestartKubelet(ctx); err != nil {
			return err
		}
	}
	if err := logind.Wait(); err != nil {
		return fmt.Errorf("the stand-in for logind on %s: %w (%w)%s", n.NodeName(), err, readErr, process.LogTail(n.log("kubelet")))
	}
	return nil
}

// Logind stands in for systemd-logind on a node that is about to shut down: it waits for one program to take an inhibitor lock, tells that the
// node shuts down, and returns when the lock is let go.
func Logind(ctx context.Context, ready io.Writer) error {
	var bus *dbus.Conn
	var err error
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if bus, err = dbus.Connect("unix:path=" + busSocket); err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
	defer bus.Close()
	l := &logind{taken: make(chan *os.File, 1)}
	if err := bus.Export(l, loginObject, manager); err != nil {
		return err
	}
	if err := bus.Export(properties{}, loginObject, "org.freedesktop.DBus.Properties"); err != nil {
		return err
	}
	if reply, err := bus.RequestName(login, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return fmt.Errorf("can't be %s on the bus: %v, %w", login, reply, err)
	}
	if _, err := fmt.Fprintln(ready, "ready"); err != nil {
		return err
	}
	var lock *os.File
	select {
	case <-ctx.Done():
		return fmt.Errorf("no program took an inhibitor lock: %w", ctx.Err())
	case lock = <-l.taken:
	}
	defer lock.Close()
	// The program asks for the signal right after it has the lock, and the bus forwards it only to those who have asked.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
	}
	if err := bus.Emit(loginObject, manager+".PrepareForShutdown", true); err != nil {
		return err
	}
	released := make(chan error, 1)
	go func() {
		_, err := lock.Read(make([]byte, 1))
		released <- err
	}()
	select {
	case <-ctx.Done():
		return fmt.Errorf("the inhibitor lock wasn't let go: %w", ctx.Err())
	case err := <-released:
		if !errors.Is(err, io.EOF) {
			return err
		}
		return nil
	}
}

type logind struct {
	taken chan *os.File
}

// Inhibit gives the caller a file that is its lock until it closes it.
func (l *logind) Inhibit(what, _, _, mode string) (dbus.UnixFD, *dbus.Error) {
	reader, writer, err := os.Pipe()
	if err != nil {
		return 0, dbus.MakeFailedError(err)
	}
	if what != "shutdown" || mode != "delay" {
		return 0, dbus.MakeFailedError(fmt.Errorf("%s of %s is not done here", mode, what))
	}
	select {
	case l.taken <- reader:
		// This end must be closed here once it was sent, or the reader never sees that the other one is.
		fd := dbus.UnixFD(writer.Fd())
		time.AfterFunc(settle, func() { writer.Close() })
		return fd, nil
	default:
		return 0, dbus.MakeFailedError(errors.New("the lock is taken"))
	}
}

type properties struct{}

// Get answers how long an inhibitor lock may delay a shutdown: as long as any kubelet wants.
func (properties) Get(_, name string) (dbus.Variant, *dbus.Error) {
	if name != "InhibitDelayMaxUSec" {
		return dbus.Variant{}, dbus.MakeFailedError(fmt.Errorf("no property %s", name))
	}
	return dbus.MakeVariant(uint64(time.Hour / time.Microsecond)), nil
}
