//! Reading and writing the data types of section 1.5: integers, strings, binary data.
