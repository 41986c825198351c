pub mod crashkernel;
