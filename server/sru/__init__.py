"""SRU over HTTP: explain, searchRetrieve, scan and Record Update."""
