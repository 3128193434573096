// Package legacy lends node numbers to EasyFlake for Python, in place of that
// program's own server, so that Python and Go processes can write one column.
//
// A Python process opens a stream, is told a number on it, and uses it while the
// stream is open. Here each stream holds the lease of one node of the namespace's
// legacy range, which the server renews, and which nobody else can get: no other
// stream, of no other server of the same store, and no Go process. When the stream
// ends, the lease is not given back but left to run out, for the process may go on
// using its number for a moment. The record of it is in the store, so the number
// rests also where the server itself has ended.
//
// # What is not guaranteed
//
// A Python process is told a number, and no window of ticks. That two of them never
// have one number at a time is best effort, outside of the guarantee of package
// pool, and so is all that they generate. Go processes are not affected: their nodes
// are others. Two Python processes can make the same ID where
//
//   - one is cut off from the server without noticing: its stream is dead for the
//     server after the keepalive's silence, and its number is somebody else's when it
//     has rested, while it goes on until its own network tells it, which may be never;
//   - one is stopped, or its machine suspended, and wakes up later: it goes on until
//     it has read that its stream has ended;
//   - the listener, a process of its own beside the one that generates, is killed
//     alone: the other goes on with the number for ever, and nobody tells it;
//   - their clocks differ by more than a number has rested, or one is set back.
//
// And only the number's width is compared. Epoch, unit of time and width of the
// sequence are not told: that the Python processes have those of the namespace's
// layout is for whoever configures them to make sure.
//
// # How many numbers
//
// A number rests for up to a full window (a minute by default) after its stream has
// ended. After the server was restarted all Python processes ask at once, while all
// their old numbers rest: give the legacy range twice as many numbers as there are
// processes.
package legacy
