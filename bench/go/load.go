package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

type options struct {
	address     string
	kind        string
	pid         int
	connections int
	times       int
	token       string
}

// result is what one run of load came to. CPU is that of the process whose number was given.
type result struct {
	Requests int     `json:"requests"`
	Seconds  float64 `json:"seconds"`
	CPU      float64 `json:"cpu"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
}

// runLoad asks in a closed loop: each connection asks again as soon as it is answered. What the
// server's certificate says is not looked at: it is the proxy's work that is measured.
func runLoad(args []string) error {
	input := bufio.NewReader(os.Stdin)
	given := options{}
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	flags.StringVar(&given.address, "address", "", "of the proxy")
	flags.StringVar(&given.kind, "kind", "small", "small, list, down, up, dial or watch")
	flags.IntVar(&given.pid, "pid", 0, "the process whose CPU is counted")
	flags.IntVar(&given.connections, "connections", 16, "how many at once")
	flags.IntVar(&given.times, "times", 1, "how often each of them asks")
	_ = flags.Parse(args)
	token, err := input.ReadString('\n')
	if err != nil {
		return fmt.Errorf("a token is expected on standard input: %w", err)
	}
	given.token = strings.TrimSpace(token)
	endWithInput()
	if given.kind == "watch" {
		return holdWatches(given)
	}
	measured, err := measure(given)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(measured)
}

func measure(given options) (result, error) {
	all := askers(given)
	if err := all.open(given.kind); err != nil {
		return result{}, err
	}
	before, err := cpuOf(given.pid)
	if err != nil {
		return result{}, err
	}
	begin := time.Now()
	took, err := all.ask()
	if err != nil {
		return result{}, err
	}
	seconds := time.Since(begin).Seconds()
	after, err := cpuOf(given.pid)
	if err != nil {
		return result{}, err
	}
	slices.Sort(took)
	at := func(part float64) float64 {
		return float64(took[int(part*float64(len(took)-1))].Microseconds())
	}
	return result{len(took), seconds, after - before, at(0.5), at(0.99)}, nil
}

type crowd []*asker

func askers(given options) crowd {
	all := make(crowd, given.connections)
	for at := range all {
		all[at] = &asker{options: given, head: headOf(given)}
	}
	return all
}

// open is no part of what is measured, unless it is all that is.
func (all crowd) open(kind string) error {
	if kind == "dial" {
		return nil
	}
	return all.each((*asker).dial)
}

func (all crowd) ask() ([]time.Duration, error) {
	err := all.each((*asker).askAll)
	var took []time.Duration
	for _, each := range all {
		took = append(took, each.took...)
		if each.conn != nil {
			each.conn.Close()
		}
	}
	if err == nil && len(took) == 0 {
		err = errors.New("nothing was answered")
	}
	return took, err
}

func (all crowd) each(do func(*asker) error) error {
	failures := make([]error, len(all))
	var group sync.WaitGroup
	for at, each := range all {
		group.Go(func() { failures[at] = do(each) })
	}
	group.Wait()
	return errors.Join(failures...)
}

type asker struct {
	options
	head   []byte
	conn   *tls.Conn
	reader *bufio.Reader
	took   []time.Duration
}

func (a *asker) dial() error {
	plain, err := net.DialTimeout("tcp", a.address, 20*time.Second)
	if err != nil {
		return err
	}
	a.conn = tls.Client(plain, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	// Whatever hangs is a failure, and no table.
	_ = a.conn.SetDeadline(time.Now().Add(120 * time.Second))
	if a.reader == nil {
		a.reader = bufio.NewReaderSize(a.conn, 64<<10)
	} else {
		a.reader.Reset(a.conn)
	}
	return a.conn.Handshake()
}

func (a *asker) askAll() error {
	for asked := range a.times {
		begin := time.Now()
		if a.kind == "dial" {
			if err := a.dial(); err != nil {
				return err
			}
		}
		if err := a.ask(); err != nil {
			return fmt.Errorf("%s, request %d: %w", a.kind, asked, err)
		}
		if a.kind == "dial" {
			a.conn.Close()
		}
		a.took = append(a.took, time.Since(begin))
	}
	return nil
}

func (a *asker) ask() error {
	if _, err := a.conn.Write(a.head); err != nil {
		return err
	}
	if a.kind == "up" {
		if err := a.sendBulk(); err != nil {
			return err
		}
	}
	return a.readAnswer()
}

func (a *asker) sendBulk() error {
	for range bulkBytes / len(bulkPiece) {
		if _, err := a.conn.Write(bulkPiece); err != nil {
			return err
		}
	}
	return nil
}

var bulkPiece = make([]byte, pieceBytes)

func (a *asker) readAnswer() error {
	line, err := a.reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("answered %q", line)
	}
	length, isChunked, err := readFields(a.reader)
	if err != nil {
		return err
	}
	if isChunked {
		return a.readChunks()
	}
	_, err = a.reader.Discard(int(length))
	return err
}

func (a *asker) readChunks() error {
	for {
		size, err := a.readChunk()
		if err != nil || size == 0 {
			return err
		}
	}
}

// readChunk reads one chunk, and gives its size.
func (a *asker) readChunk() (int, error) {
	line, err := a.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	size, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
	if err != nil {
		return 0, err
	}
	_, err = a.reader.Discard(int(size) + 2)
	return int(size), err
}

// headOf is a request as kubectl would write it.
func headOf(given options) []byte {
	method, path := "GET", "/api/v1/namespaces/bench/"
	switch given.kind {
	case "list":
		path += "list"
	case "down":
		path += "bulk"
	case "up":
		method, path = "PUT", path+"bulk"
	case "watch":
		path += "pods?watch=1"
	default:
		path += "small"
	}
	lines := []string{
		method + " " + path + " HTTP/1.1",
		"Host: " + given.address,
		"User-Agent: kubectl/v1.37.2 (linux/amd64) kubernetes/bench",
		"Authorization: Bearer " + given.token,
		"Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
		"Accept-Encoding: gzip",
		"Kubectl-Command: kubectl get",
		"Kubectl-Session: 7f3b1c52-8f0f-4b0f-9d2e-0b6f4b3a8f11",
	}
	if method == "PUT" {
		lines = append(lines, fmt.Sprintf("Content-Length: %d", bulkBytes))
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// holdWatches opens them, says so, and holds them until its input ends.
func holdWatches(given options) error {
	all := askers(given)
	// Some at a time: a thousand handshakes at once are another measurement.
	for at := 0; at < len(all); at += 50 {
		err := all[at:min(at+50, len(all))].each((*asker).watch)
		if err != nil {
			return err
		}
	}
	fmt.Println("held")
	select {}
}

func (a *asker) watch() error {
	if err := a.dial(); err != nil {
		return err
	}
	if _, err := a.conn.Write(a.head); err != nil {
		return err
	}
	line, err := a.reader.ReadSlice('\n')
	if err != nil || !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return errors.Join(fmt.Errorf("answered %q", line), err)
	}
	if _, _, err := readFields(a.reader); err != nil {
		return err
	}
	if _, err := a.readChunk(); err != nil {
		return err
	}
	return a.conn.SetDeadline(time.Time{})
}

const ticksPerSecond = 100

// cpuOf is the time that a process has used with all its threads, its own and the kernel's.
func cpuOf(pid int) (float64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The name in parentheses may hold anything; behind it utime and stime are the 12th and 13th.
	_, behind, _ := bytes.Cut(stat, []byte(") "))
	fields := strings.Fields(string(behind))
	user, err := strconv.Atoi(fields[11])
	if err != nil {
		return 0, err
	}
	system, err := strconv.Atoi(fields[12])
	return float64(user+system) / ticksPerSecond, err
}
