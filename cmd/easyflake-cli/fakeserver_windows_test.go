package main

const daemonVariable = "none"

func currentUmask() int { return 0 }
