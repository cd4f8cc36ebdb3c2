"""Sans-I/O protocol core: BER, APDUs, queries, SRU and MARC forms. Imports nothing of ours."""
