// Logs in once for each line of JSON, and says what came of it in a line of JSON.
const fs = require('fs')
const readline = require('readline')
const { Client } = require('pg')

async function attempt (a) {
  const config = { host: a.host, port: a.port, user: a.user, database: a.database, password: a.password }
  if (a.tls) {
    config.ssl = { ca: fs.readFileSync(a.ca) }
    if (a.cert) Object.assign(config.ssl, { cert: fs.readFileSync(a.cert), key: fs.readFileSync(a.key) })
  }
  const client = new Client(config)
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query('select current_user as name')
    await client.end()
    return { user: rows[0].name }
  } catch (e) {
    await client.end().catch(() => {})
    return { code: e.code || '', message: e.message }
  }
}

async function main () {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await attempt(JSON.parse(line))))
  }
}
main()
