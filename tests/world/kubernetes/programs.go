//go:build programs

// Package programs names what fetch-kubernetes builds, so that go.mod and go.sum hold all of it and nothing else.
package programs

import (
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kubectl"
)
