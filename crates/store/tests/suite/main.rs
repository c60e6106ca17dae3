//! The store from outside: the contract of its engines, a model, crashes, full disks.

mod contract;
mod control;
mod crash;
mod full_disk;
mod journal;
mod keys;
mod kit;
mod lead;
mod lead_model;
mod slice;
mod work;
