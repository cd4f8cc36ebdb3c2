// One searchRetrieve of @natlibfi/sru-client: `node sru_client.cjs URL SCHEMA VERSION QUERY`.
// Prints what its events tell, a line each; a record is told by its control number.
const {default: createClient} = require('@natlibfi/sru-client');

const [url, recordSchema, version, query] = process.argv.slice(2);
const client = createClient({url, recordSchema, version, maxRecordsPerRequest: 2});
client.searchRetrieve(query)
  .on('total', total => console.log(`total ${total}`))
  .on('record', record => console.log(`record ${/tag="001"[^>]*>([^<]*)/.exec(record)[1]}`))
  .on('end', () => console.log('end'))
  .on('error', error => console.log(`error ${error.message}`));
