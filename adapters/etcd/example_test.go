// Copyright The Quorate Authors
// SPDX-License-Identifier: Apache-2.0

package etcd_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/quorate/quorate/adapters/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

func Example() {
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"10.0.0.1:2379", "10.0.0.2:2379", "10.0.0.3:2379"},
		Logger:    zap.NewNop(), // the client's own log is talkative
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	store, err := etcd.New(client, nil)
	if err != nil {
		log.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for view, err := range store.Watch(ctx, "jobs/") {
		if err != nil {
			log.Fatal(err) // of ctx, or one that trying again cannot mend
		}
		fmt.Println(len(view.KVs), "jobs")
	}
}

func ExampleNew_options() {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"127.0.0.1:2379"}, Logger: zap.NewNop()})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	_, err = etcd.New(client, &etcd.Options{ProbeEvery: 3 * time.Millisecond})
	fmt.Println(err)
	// Output: etcd: new: invalid request: Options.ProbeEvery is 3ms, minimum 300ms
}
