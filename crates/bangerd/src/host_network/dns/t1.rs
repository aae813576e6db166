mod dig;
mod life_cycle;
mod sockets;
mod waking;
