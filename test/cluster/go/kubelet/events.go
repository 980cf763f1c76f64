package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// An event says that the API server opened or closed a stream: what a test of
// revocation waits for, seen from the far side of everything under test.
type event struct {
	Event     string   `json:"event"`
	Kind      string   `json:"kind"`
	Namespace string   `json:"namespace"`
	Pod       string   `json:"pod"`
	Container string   `json:"container"`
	Command   []string `json:"command"`
	At        string   `json:"at"`
}

type events struct {
	mutex sync.Mutex
	file  *os.File
}

func openEvents(path string) (*events, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	return &events{file: file}, err
}

// opened records that a stream was opened, and returns what records that it was closed.
func (events *events) opened(stream event) (closed func()) {
	events.write("opened", stream)
	return func() { events.write("closed", stream) }
}

func (events *events) write(what string, stream event) {
	stream.Event = what
	stream.At = time.Now().UTC().Format(time.RFC3339Nano)
	line, err := json.Marshal(stream)
	if err != nil {
		panic(err)
	}
	events.mutex.Lock()
	defer events.mutex.Unlock()
	events.file.Write(append(line, '\n'))
}
