// Goroutines and channels at what ours is measured at, on one processor as a loop is. Prints `metric value` lines. Arguments: parked N.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

func each(t time.Time, n int) float64 { return float64(time.Since(t).Nanoseconds()) / float64(n) }

func life() {
	const n = 500000
	c, t := make(chan int), time.Now()
	for i := 0; i < n; i++ {
		go func() { c <- 1 }()
		<-c
	}
	fmt.Println("spawn_finish_ns", each(t, n))
}

func zero(n int, wg *sync.WaitGroup) {
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
	wg.Done()
}

func many(tasks, n int) time.Time {
	var wg sync.WaitGroup
	wg.Add(tasks)
	t := time.Now()
	for i := 0; i < tasks; i++ {
		go zero(n, &wg)
	}
	wg.Wait()
	return t
}

func queues() {
	const n = 300000
	there, back := make(chan int, 1), make(chan int, 1)
	go func() {
		for i := range there {
			back <- i
		}
	}()
	t := time.Now()
	for i := 0; i < n; i++ {
		there <- i
		<-back
	}
	fmt.Println("queue_pingpong_ns", each(t, n))
	close(there)
}

func storm(n int) {
	var wg sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() { <-ctx.Done(); wg.Done() }()
	}
	runtime.Gosched()
	t := time.Now()
	cancel()
	wg.Wait()
	fmt.Println("cancel_10k_ms", each(t, 1)/1e6)
}

func timers() {
	const armed, firing = 1000000, 10000
	var fired atomic.Int32
	all, fire, t := make([]*time.Timer, armed), func() { fired.Add(1) }, time.Now()
	for i := range all {
		all[i] = time.AfterFunc(time.Hour+time.Duration(uint32(i)*2654435761%1000000)*time.Microsecond, fire)
	}
	fmt.Println("timers_arm_1m_ns", each(t, armed))
	t = time.Now()
	for i := 0; i < firing; i++ {
		time.AfterFunc(0, fire)
	}
	for fired.Load() < firing {
		runtime.Gosched()
	}
	fmt.Println("timers_fire_10k_ns", each(t, firing))
	t = time.Now()
	for _, x := range all {
		x.Stop()
	}
	fmt.Println("timers_stop_1m_ns", each(t, armed))
}

func wake() {
	const n = 20000
	ask, answer := make(chan int), make(chan int)
	go func() {
		runtime.LockOSThread()
		for i := 0; i < n; i++ {
			ask <- i
			<-answer
		}
	}()
	t := time.Now()
	for i := 0; i < n; i++ {
		<-ask
		answer <- i
	}
	fmt.Println("wake_us", each(t, n)/1e3)
}

func memory() (bytes float64) {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") || strings.HasPrefix(line, "VmPTE:") {
			kb, _ := strconv.ParseFloat(strings.Fields(line)[1], 64)
			bytes += kb * 1024
		}
	}
	return bytes
}

func parked(n int) {
	var up, wg sync.WaitGroup
	stop, before := make(chan bool), memory()
	up.Add(n)
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() { up.Done(); <-stop; wg.Done() }()
	}
	up.Wait()
	fmt.Printf("parked_%d_bytes %f\n", n, (memory()-before)/float64(n))
	close(stop)
	wg.Wait()
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) > 2 {
		n, _ := strconv.Atoi(os.Args[2])
		parked(n)
		return
	}
	life()
	fmt.Println("switch_ns", each(many(2, 500000), 1000000))
	fmt.Println("yield_1000_tasks_ns", each(many(1000, 1000), 1000000))
	queues()
	t := time.Now()
	for i := 0; i < 100; i++ {
		many(1000, 1)
	}
	fmt.Println("gather_1000_us", each(t, 100)/1e3)
	storm(10000)
	timers()
	runtime.GOMAXPROCS(2)
	wake()
}
