package main

import (
	"context"
	"log"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// keepNode registers the node and carries its pods from bound to running, and from
// deleted to gone, until the context is done.
func keepNode(ctx context.Context, options nodeOptions, port int, pods *pods) error {
	config, err := clientcmd.BuildConfigFromFlags("", options.kubeconfig)
	if err != nil {
		return err
	}
	// The default of five requests a second would make a test with many pods wait.
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	node := &keptNode{client: client, name: options.name, pods: pods}
	if err := node.register(ctx, int32(port)); err != nil {
		return err
	}
	node.watchPods(ctx)
	return nil
}

type keptNode struct {
	client kubernetes.Interface
	name   string
	pods   *pods
}

func (node *keptNode) register(ctx context.Context, port int32) error {
	made := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   node.name,
		Labels: map[string]string{corev1.LabelHostname: node.name},
	}}
	nodes := node.client.CoreV1().Nodes()
	current, err := nodes.Create(ctx, made, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		current, err = nodes.Get(ctx, node.name, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	current.Status = nodeStatus(node.name, port)
	_, err = nodes.UpdateStatus(ctx, current, metav1.UpdateOptions{})
	return err
}

func nodeStatus(name string, port int32) corev1.NodeStatus {
	room := corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("4"),
		corev1.ResourceMemory: resource.MustParse("8Gi"),
		corev1.ResourcePods:   resource.MustParse("1000"),
	}
	now := metav1.Now()
	return corev1.NodeStatus{
		Capacity:    room,
		Allocatable: room,
		Addresses: []corev1.NodeAddress{
			{Type: corev1.NodeInternalIP, Address: "127.0.0.1"},
			{Type: corev1.NodeHostName, Address: name},
		},
		Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "StandIn",
			LastHeartbeatTime: now, LastTransitionTime: now,
		}},
		DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: port}},
		NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: "v1.37.2", ContainerRuntimeVersion: "stand-in://1"},
	}
}

func (node *keptNode) watchPods(ctx context.Context) {
	bound := fields.OneTermEqualSelector("spec.nodeName", node.name)
	list := cache.NewListWatchFromClient(node.client.CoreV1().RESTClient(), "pods", metav1.NamespaceAll, bound)
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: list,
		ObjectType:    &corev1.Pod{},
		// What failed once is tried again with the next resync.
		ResyncPeriod: time.Second * 5,
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(object any) { node.carry(ctx, object.(*corev1.Pod)) },
			UpdateFunc: func(_, object any) { node.carry(ctx, object.(*corev1.Pod)) },
			DeleteFunc: func(object any) {
				if last, ok := object.(cache.DeletedFinalStateUnknown); ok {
					object = last.Obj
				}
				gone := object.(*corev1.Pod)
				node.pods.end(gone.Namespace, gone.Name, gone.UID)
			},
		},
	})
	informer.RunWithContext(ctx)
}

func (node *keptNode) carry(ctx context.Context, pod *corev1.Pod) {
	var err error
	switch {
	case pod.DeletionTimestamp != nil:
		node.pods.end(pod.Namespace, pod.Name, pod.UID)
		at := metav1.NewDeleteOptions(0)
		at.Preconditions = metav1.NewUIDPreconditions(string(pod.UID))
		err = node.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *at)
	case pod.Status.Phase == corev1.PodPending || pod.Status.Phase == "":
		err = node.start(ctx, pod)
	case pod.Status.Phase == corev1.PodRunning:
		err = node.pods.begin(pod.Namespace, pod.Name, pod.UID, ticks(pod))
	}
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		log.Printf("pod %s/%s: %v", pod.Namespace, pod.Name, err)
	}
}

// start begins the pod before it says so: whoever sees it running may enter it.
func (node *keptNode) start(ctx context.Context, pod *corev1.Pod) error {
	if err := node.pods.begin(pod.Namespace, pod.Name, pod.UID, ticks(pod)); err != nil {
		return err
	}
	running := pod.DeepCopy()
	running.Status = runningStatus(pod)
	_, err := node.client.CoreV1().Pods(pod.Namespace).UpdateStatus(ctx, running, metav1.UpdateOptions{})
	return err
}

func ticks(pod *corev1.Pod) bool {
	return pod.Annotations["test/ticks"] == "true"
}

func runningStatus(pod *corev1.Pod) corev1.PodStatus {
	now := metav1.Now()
	status := corev1.PodStatus{
		Phase:     corev1.PodRunning,
		HostIP:    "127.0.0.1",
		HostIPs:   []corev1.HostIP{{IP: "127.0.0.1"}},
		PodIP:     "127.0.0.1",
		PodIPs:    []corev1.PodIP{{IP: "127.0.0.1"}},
		StartTime: &now,
		QOSClass:  pod.Status.QOSClass,
	}
	for _, kind := range []corev1.PodConditionType{
		corev1.PodScheduled, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady,
	} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{
			Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now,
		})
	}
	for _, container := range pod.Spec.Containers {
		started := true
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name:        container.Name,
			Image:       container.Image,
			ImageID:     "stand-in://" + container.Image,
			ContainerID: "stand-in://" + string(pod.UID) + "-" + container.Name,
			Ready:       true,
			Started:     &started,
			State:       corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
		})
	}
	return status
}
