// Package layout knows where everything of one cluster is: its files, its addresses and the names of its devices.
// Everything else is derived from the state folder (.cluster in the checkout) and the slot, a number that keeps the
// clusters of several checkouts on one machine apart.
package layout
