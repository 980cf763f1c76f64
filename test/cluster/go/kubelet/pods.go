package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// A pod lives until its context is done: with the pod's deletion, whatever runs in it ends.
type pod struct {
	folder  string
	started time.Time
	ticks   bool
	context context.Context
	end     context.CancelFunc
}

type pods struct {
	mutex   sync.Mutex
	scratch string
	byUID   map[types.UID]*pod
	byName  map[string]*pod
	// The streams into any of them.
	running sync.WaitGroup
}

func newPods(scratch string) *pods {
	return &pods{scratch: scratch, byUID: map[types.UID]*pod{}, byName: map[string]*pod{}}
}

// begin gives a pod its clean folder. A pod already begun stays as it is.
func (pods *pods) begin(namespace, name string, uid types.UID, ticks bool) error {
	pods.mutex.Lock()
	defer pods.mutex.Unlock()
	if pods.byUID[uid] != nil {
		return nil
	}
	folder := filepath.Join(pods.scratch, string(uid))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	begun := &pod{folder: folder, started: time.Now(), ticks: ticks, context: ctx, end: end}
	pods.byUID[uid] = begun
	pods.byName[namespace+"/"+name] = begun
	return nil
}

func (pods *pods) end(namespace, name string, uid types.UID) {
	pods.mutex.Lock()
	defer pods.mutex.Unlock()
	ended := pods.byUID[uid]
	if ended == nil {
		return
	}
	ended.end()
	os.RemoveAll(ended.folder)
	delete(pods.byUID, uid)
	if pods.byName[namespace+"/"+name] == ended {
		delete(pods.byName, namespace+"/"+name)
	}
}

// endAll returns when no stream is left: the commands they run would outlive this program.
func (pods *pods) endAll() {
	pods.mutex.Lock()
	for _, pod := range pods.byUID {
		pod.end()
	}
	pods.mutex.Unlock()
	pods.running.Wait()
}

func (pods *pods) find(namespace, name string) (*pod, error) {
	pods.mutex.Lock()
	defer pods.mutex.Unlock()
	if pod := pods.byName[namespace+"/"+name]; pod != nil {
		return pod, nil
	}
	return nil, fmt.Errorf("pod %s/%s does not run here", namespace, name)
}
