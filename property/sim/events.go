package sim

// event is something that happens at a moment of true time. Events of one moment
// happen in the order in which they were planned.
type event struct {
	at   int64
	seq  uint64
	host *process // whose it is: it waits while that is stopped, and is lost with it; nil: the world's
	do   func()
}

// events is a heap, the earliest event first.
type events []event

func (q events) before(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}

func (q *events) push(e event) {
	*q = append(*q, e)
	for i := len(*q) - 1; i > 0; {
		up := (i - 1) / 2
		if !q.before(i, up) {
			return
		}
		(*q)[i], (*q)[up] = (*q)[up], (*q)[i]
		i = up
	}
}

func (q *events) pop() event {
	old := *q
	first, last := old[0], len(old)-1
	old[0] = old[last]
	old[last] = event{}
	*q = old[:last]
	for i := 0; ; {
		down := 2*i + 1
		if down >= last {
			return first
		}
		if down+1 < last && q.before(down+1, down) {
			down++
		}
		if !q.before(down, i) {
			return first
		}
		(*q)[i], (*q)[down] = (*q)[down], (*q)[i]
		i = down
	}
}
