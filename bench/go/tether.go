package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

const prSetDeathSignal = 1

// runTether becomes another program, on one processor where that is wanted (-1: on any), which
// the kernel ends with whoever started it. It keeps its number, by which its time is looked up.
func runTether(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("tether takes a processor and a program with its arguments")
	}
	cpu, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	// Both are a thread's own, and it is this thread that becomes the program.
	runtime.LockOSThread()
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetDeathSignal, uintptr(syscall.SIGKILL), 0); errno != 0 {
		return errno
	}
	if cpu >= 0 {
		var mask [16]uint64
		mask[cpu/64] = 1 << (cpu % 64)
		_, _, errno := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
		if errno != 0 {
			return errno
		}
	}
	return syscall.Exec(program, args[1:], os.Environ())
}
