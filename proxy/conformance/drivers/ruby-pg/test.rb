# frozen_string_literal: true

# ruby-pg: libpq as it is. PGHOST and the others say where the database is.

require 'minitest/autorun'
require 'pg'

# Connections and questions of the tests.
module Asking
  def setup
    @opened = []
  end

  def teardown
    @opened.each { |c| c.close unless c.finished? }
  end

  def connect(**more)
    c = PG.connect(**more)
    c.set_notice_receiver { |_| } # "does not exist, skipping"
    @opened << c
    c
  end

  def one(conn, text, *args)
    (args.empty? ? conn.exec(text) : conn.exec_params(text, args)).getvalue(0, 0)
  end
end

class TestStatements < Minitest::Test
  include Asking

  def test_named_statements
    conns = Array.new(4) { connect }
    4.times do |round|
      conns.each_with_index do |c, i|
        20.times do |s|
          c.prepare("a#{s}", "select #{i * 1000 + s * 10 + round} + $1::int") if round.zero? || s.even?
          want = i * 1000 + s * 10 + (s.even? ? round : 0) + 5
          assert_equal want.to_s, c.exec_prepared("a#{s}", [5]).getvalue(0, 0)
          c.exec("DEALLOCATE a#{s}") if s.even? # as Active Record does it with libpq before 17
        end
      end
    end
    assert_raises(PG::InvalidSqlStatementName) { conns[0].exec_prepared('a0', [1]) }
    assert_raises(PG::DuplicatePstatement) { conns[0].prepare('a1', 'select 1') }
    assert_equal '1015', conns[1].exec_prepared('a1', [5]).getvalue(0, 0)
  end

  def test_describe
    c = connect
    c.prepare('described', 'select $1::int as n, $2::text as t')
    2.times do
      d = c.describe_prepared('described')
      assert_equal [2, 2, %w[n t]], [d.nparams, d.nfields, d.fields]
    end
  end

  def test_changed_table
    c = connect
    c.exec('drop table if exists changing; create table changing (a int); insert into changing values (1)')
    c.prepare('all', 'select * from changing')
    assert_equal 1, c.exec_prepared('all').nfields
    c.exec('alter table changing add column b int')
    begin # libpq asks for the columns with every execution, so both ends are right: the error, or the new columns
      c.transaction { c.exec('select 1') && assert_equal(2, c.exec_prepared('all').nfields) }
    rescue PG::FeatureNotSupported => e
      assert_equal 'RevalidateCachedQuery', e.result.error_field(PG::PG_DIAG_SOURCE_FUNCTION)
    end
    c.exec('deallocate "all"')
    c.prepare('all', 'select * from changing')
    assert_equal 2, c.exec_prepared('all').nfields
  end

  def test_single_row_mode
    c = connect
    c.send_query_params('select n from generate_series(1, $1::int) n', [500])
    c.set_single_row_mode
    sum = 0
    while (r = c.get_result)
      r.check
      sum += r.getvalue(0, 0).to_i if r.ntuples == 1
    end
    assert_equal 125_250, sum
  end

  def test_pipeline
    c = connect
    c.enter_pipeline_mode
    10.times do |i|
      c.send_query_params('select $1::int + 1', [i])
      c.send_query_params('select 1 / $1::int', [i % 2])
      c.send_query_params("select 'skipped after an error'", [])
      c.pipeline_sync
    end
    counts = Hash.new(0)
    synced = 0
    nils = 0
    while synced < 10
      r = c.get_result
      if r.nil?
        nils += 1
        raise 'no more results' if nils > 100

        next
      end
      counts[r.result_status] += 1
      synced += 1 if r.result_status == PG::PGRES_PIPELINE_SYNC
    end
    c.exit_pipeline_mode
    assert_equal({ PG::PGRES_TUPLES_OK => 20, PG::PGRES_FATAL_ERROR => 5, PG::PGRES_PIPELINE_ABORTED => 5, PG::PGRES_PIPELINE_SYNC => 10 }, counts)
    assert_equal '1', one(c, 'select 1')
  end

  def test_several_statements
    c = connect
    c.send_query('select 1; begin; select 2; commit; select 3')
    got = []
    while (r = c.get_result)
      got << r.getvalue(0, 0) if r.ntuples.positive?
    end
    assert_equal %w[1 2 3], got
  end

  def test_copy
    c = connect
    c.exec('drop table if exists copied; create table copied (a int check (a <> 13), b text)')
    c.copy_data('copy copied from stdin') { 20_000.times { |i| c.put_copy_data("#{100 + i}\trow\n") } }
    assert_raises(PG::CheckViolation) { c.copy_data('copy copied from stdin') { 100.times { |i| c.put_copy_data("#{i}\trow\n") } } }
    assert_raises(KeyError) { c.copy_data('copy copied from stdin') { raise KeyError } }
    lines = 0
    c.copy_data('copy copied to stdout') { lines += 1 while c.get_copy_data }
    assert_equal [20_000, '20000'], [lines, one(c, 'select count(*) from copied')]
  end

  def test_binary_and_arrays
    c = connect
    3.times do
      r = c.exec_params('select $1::bytea, $2::int4', [{ value: "\0\1\xff\n".b, format: 1 }, '7'], 1)
      assert_equal ["\0\1\xff\n".b, [7].pack('N')], r.values[0]
      c.type_map_for_results = PG::BasicTypeMapForResults.new(c)
      assert_equal [[1, -2, 3], ['a', 'b "c"', '', 'ü']], c.exec_params('select $1::int4[], $2::text[]', ['{1,-2,3}', '{a,"b \"c\"","",ü}']).values[0]
      c.type_map_for_results = PG::TypeMapAllStrings.new
    end
  end
end

class TestSession < Minitest::Test
  include Asking

  def test_transactions_and_savepoints
    c = connect
    c.exec('drop table if exists accounts; create table accounts (id int primary key)')
    c.transaction do
      c.exec('insert into accounts values (1); savepoint s; insert into accounts values (2)')
      assert_raises(PG::UniqueViolation) { c.exec_params('insert into accounts values ($1)', [1]) }
      assert_raises(PG::InFailedSqlTransaction) { c.exec('select 1') }
      assert_equal PG::PQTRANS_INERROR, c.transaction_status
      c.exec('rollback to s; insert into accounts values (3)')
    end
    assert_equal PG::PQTRANS_IDLE, c.transaction_status
    assert_equal '4', one(c, 'select sum(id) from accounts')
    assert_raises(PG::DivisionByZero) { c.transaction { c.exec('insert into accounts values (9)') && c.exec('select 1/0') } }
    assert_equal '4', one(c, 'select sum(id) from accounts')
  end

  def test_settings
    c = connect(options: '-c work_mem=9MB -c search_path=pg_catalog', client_encoding: 'UTF8')
    3.times { assert_equal %w[9MB pg_catalog], c.exec("select current_setting('work_mem'), current_setting('search_path')").values[0] }
    c.exec('drop schema if exists mine cascade; create schema mine; create table mine.here as select 5 as a')
    c.exec("set search_path to mine; set time zone 'Asia/Tokyo'; set work_mem = '5MB'; set standard_conforming_strings = on")
    5.times do |i|
      assert_equal '5', one(c, 'select a from here where a > $1', i)
      assert_equal '2020-01-02 12:00:00+09', one(c, "select '2020-01-02 03:00Z'::timestamptz")
      assert_equal %w[Asia/Tokyo 5MB], [c.parameter_status('TimeZone'), one(c, 'show work_mem')]
    end
    c.exec('reset all')
    assert_equal %w[9MB pg_catalog], [one(c, 'show work_mem'), one(c, 'show search_path')]
  end

  def test_encoding
    c = connect
    c.set_client_encoding('LATIN1')
    3.times { assert_equal "\xfc".b, one(c, "select chr(252)").b }
    c.set_client_encoding('UTF8')
    assert_equal 'ü', one(c, 'select $1', 'ü')
  end

  def test_reset
    c = connect
    c.exec("set app.mark = 'mine'")
    c.reset
    assert_equal '', one(c, "select coalesce(current_setting('app.mark', true), '')")
    c.exec("set app.mark = 'again'")
    c.exec('discard all')
    assert_equal '', one(c, "select coalesce(current_setting('app.mark', true), '')")
  end

  def test_notifications
    listener, other = connect, connect
    listener.exec('listen news')
    5.times do |i|
      other.exec_params("select pg_notify('news', $1)", [i.to_s])
      got = nil
      assert_equal 'news', listener.wait_for_notify(20) { |_channel, _pid, payload| got = payload }
      assert_equal i.to_s, got
    end
    listener.exec('unlisten news')
  end

  def test_advisory_locks_and_temporary_tables
    a, b = connect, connect
    a.exec('select pg_advisory_lock(7); create temp table scratch (n int)')
    5.times do |i|
      assert_equal 'f', one(b, 'select pg_try_advisory_lock($1::bigint)', 7)
      a.exec_params('insert into scratch values ($1)', [i])
      assert_equal (i + 1).to_s, one(a, 'select count(*) from scratch')
      assert_raises(PG::UndefinedTable) { b.exec('select * from scratch') }
    end
    a.exec('drop table scratch')
    assert_equal 't', one(a, 'select pg_advisory_unlock($1::bigint)', 7)
    assert_equal 't', one(b, 'select pg_try_advisory_lock($1::bigint)', 7)
    assert_equal 't', one(b, 'select pg_advisory_unlock($1::bigint)', 7)
  end

  def test_cursors
    c = connect
    c.exec('begin; declare c cursor with hold for select n from generate_series(1, 25) n')
    assert_equal 10, c.exec('fetch 10 from c').ntuples
    c.exec('commit')
    assert_equal [10, 5, 0], Array.new(3) { c.exec('fetch 10 from c').ntuples }
    c.exec('close c')
  end

  def test_cancel
    c = connect
    c.exec('set statement_timeout = 100')
    assert_raises(PG::QueryCanceled) { c.exec('select pg_sleep(20)') }
    c.exec('reset statement_timeout')
    c.send_query('select pg_sleep(20)')
    deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 15
    until c.block(0.1) # it may not have arrived when the first request does
      assert_nil c.cancel
      flunk 'not cancelled' if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    end
    assert_raises(PG::QueryCanceled) { c.get_last_result }
    assert_equal '1', one(c, 'select 1')
  end

  def test_error_keeps_connection
    c = connect
    c.exec("set app.mark = 'mine'")
    { 'select 1/0' => PG::DivisionByZero, 'selec' => PG::SyntaxError, 'select * from nowhere' => PG::UndefinedTable }.each do |text, error|
      assert_raises(error) { c.exec(text) }
      assert_raises(error) { c.exec_params(text, []) }
      assert_equal 'mine', one(c, "select current_setting('app.mark')")
    end
  end
end
