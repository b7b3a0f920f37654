# frozen_string_literal: true

# Active Record with prepared statements and advisory locks on, as Rails sets it up by default. The version is the one
# that Ruby finds: Debian's, or a gem's.

require 'minitest'
require 'timeout'
require 'tmpdir'
require 'active_record'
require 'logger'

URL = ENV.fetch('DRIVERS_URL')
PATIENCE = 40

def establish(**more)
  ActiveRecord::Base.establish_connection({ url: URL, pool: 8, prepared_statements: true, statement_limit: 10 }.merge(more))
end

establish
ActiveRecord::Migration.verbose = false
# Migrations are named by their numbers here.
class CreateAuthors < ActiveRecord::Migration[6.1]
  def change
    create_table :authors do |t|
      t.string :name, null: false
      t.integer :age
      t.string :tags, array: true, default: []
      t.jsonb :data, default: {}
      t.timestamps
    end
    add_index :authors, :name, unique: true
  end
end

class CreateBooks < ActiveRecord::Migration[6.1]
  def change
    create_table :books do |t|
      t.references :author, foreign_key: true
      t.string :title
    end
  end
end

class IndexConcurrently < ActiveRecord::Migration[6.1]
  disable_ddl_transaction!
  def change
    add_index :books, :title, algorithm: :concurrently
  end
end

class Failing < ActiveRecord::Migration[6.1]
  def change
    create_table(:never) { |t| t.string :name }
    execute 'select 1/0'
  end
end

# A migration of which the process is killed while it holds the lock.
class Hanging < ActiveRecord::Migration[6.1]
  def change
    create_table(:hanging) { |t| t.string :name }
    File.write(ENV.fetch('HANGING'), 'locked')
    sleep
  end
end

class Author < ActiveRecord::Base
  has_many :books
end

class Book < ActiveRecord::Base
  belongs_to :author
end

# Runs migrations that are classes, without files.
module Migrating
  def migrate(*classes)
    proxies = classes.each_with_index.map { |c, i| stand_in(c, i + 1) }
    migrator(proxies).migrate
  end

  def stand_in(klass, version)
    klass.new(klass.name, version)
  end

  # The constructor's arguments depend on the version of Active Record.
  def migrator(list)
    base = ActiveRecord::Base
    if base.respond_to?(:connection_pool) && base.connection_pool.respond_to?(:schema_migration)
      pool = base.connection_pool
      ActiveRecord::Migrator.new(:up, list, pool.schema_migration, pool.internal_metadata)
    elsif base.connection.respond_to?(:schema_migration)
      arguments = [:up, list, base.connection.schema_migration]
      arguments << base.connection.internal_metadata if base.connection.respond_to?(:internal_metadata)
      ActiveRecord::Migrator.new(*arguments)
    else
      ActiveRecord::Migrator.new(:up, list, ActiveRecord::SchemaMigration)
    end
  end
end

class TestActiveRecord < Minitest::Test
  include Migrating

  def setup
    establish
    connection.execute('set client_min_messages to warning; drop schema public cascade; create schema public')
    connection.clear_cache!
    connection.schema_cache.clear!
    migrate(CreateAuthors, CreateBooks)
    [Author, Book].each(&:reset_column_information)
  end

  def teardown
    ActiveRecord::Base.connection_handler.clear_all_connections!
  rescue NoMethodError
    ActiveRecord::Base.clear_all_connections!
  end

  def connection
    ActiveRecord::Base.connection
  end

  def test_prepared_statements_are_on_and_dropped_beyond_the_limit
    assert connection.prepared_statements
    3.times do |round|
      25.times do |i|
        Author.create!(name: "author #{round} #{i}", age: i) if round.zero?
        assert_equal [i], Author.where(age: i).where("#{i} = #{i}").pluck(:age)
        assert_equal "author 0 #{i}", Author.find_by(age: i).name
      end
    end
    assert_equal 25, Author.count
  end

  def test_threads_with_the_same_texts
    Array.new(6) do |t|
      Thread.new do
        ActiveRecord::Base.connection_pool.with_connection do
          10.times do |i|
            Author.transaction do
              a = Author.create!(name: "thread #{t} #{i}", age: t)
              a.books.create!(title: 'first')
              a.update!(age: t + 100)
            end
            assert_equal i + 1, Author.where(age: t + 100).count
          end
        end
      end
    end.each(&:join)
    assert_equal [60, 60], [Author.count, Book.count]
  end

  def test_transactions_and_savepoints
    Author.transaction do
      Author.create!(name: 'kept')
      Author.transaction(requires_new: true) do
        Author.create!(name: 'dropped')
        raise ActiveRecord::Rollback
      end
      assert_raises(ActiveRecord::RecordNotUnique) do
        Author.transaction(requires_new: true) { Author.create!(name: 'kept') }
      end
      Author.create!(name: 'also kept')
    end
    assert_equal ['also kept', 'kept'], Author.order(:name).pluck(:name)
    assert_raises(ActiveRecord::StatementInvalid) { Author.transaction { Author.create!(name: 'gone') && connection.execute('select 1/0') } }
    assert_equal 2, Author.count
    Author.transaction(isolation: :serializable) { assert_equal 'serializable', connection.select_value('show transaction_isolation') }
    author = Author.first
    author.with_lock { author.update!(age: 7) }
    assert_equal 7, author.reload.age
  end

  def test_settings_of_the_connection
    establish(variables: { work_mem: '5MB', statement_timeout: '20s' }, schema_search_path: 'public,pg_catalog', encoding: 'unicode', min_messages: 'warning')
    5.times do
      assert_equal %w[5MB 20s UTC iso_8601], connection.select_rows(
        "select current_setting('work_mem'), current_setting('statement_timeout'), current_setting('timezone'), current_setting('intervalstyle')"
      )[0]
      assert_equal 'public,pg_catalog', connection.schema_search_path.delete(' ')
      assert Author.where(age: 1).to_a.empty?
    end
    connection.schema_search_path = 'pg_catalog'
    assert_raises(ActiveRecord::StatementInvalid) { Author.where(age: 1).to_a }
    connection.schema_search_path = 'public'
    assert Author.where(age: 1).to_a.empty?
  end

  def test_reset_and_reconnect
    Author.create!(name: 'one')
    connection.execute("set app.mark = 'mine'")
    connection.reset!
    assert_equal '', connection.select_value("select coalesce(current_setting('app.mark', true), '')")
    assert_equal 'UTC', connection.select_value('show timezone')
    assert_equal 'one', Author.find_by(name: 'one').name
    connection.reconnect!
    assert_equal 'one', Author.find_by(name: 'one').name
    assert connection.active?
  end

  def test_changed_table_outside_and_inside_a_transaction
    Author.create!(name: 'one')
    3.times { Author.find_by(name: 'one') }
    other = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection { |c| c.add_column :authors, :extra, :string }
    end
    other.join
    3.times { assert_equal 'one', Author.find_by(name: 'one').name }
    3.times { Author.find_by(name: 'one') }
    connection.add_column :authors, :more, :string
    Author.transaction { assert_equal 'one', Author.where(name: 'one').first.name }
    Author.reset_column_information
    Author.first.update!(more: 'here', extra: 'there')
    assert_equal %w[here there], Author.pluck(:more, :extra)[0]
  end

  def test_batches_and_bulk
    Author.insert_all(Array.new(250) { |i| { name: "bulk #{i}", age: i, created_at: Time.now, updated_at: Time.now } })
    sizes = []
    Author.in_batches(of: 60) { |b| sizes << b.update_all('age = age + 1') }
    assert_equal [60, 60, 60, 60, 10], sizes
    assert_equal (1..250).sum, Author.sum(:age)
    seen = 0
    Author.find_each(batch_size: 40) { seen += 1 }
    assert_equal 250, seen
    Author.upsert_all([{ name: 'bulk 0', age: 5000, created_at: Time.now, updated_at: Time.now }], unique_by: :name)
    assert_equal 5000, Author.find_by(name: 'bulk 0').age
    assert_equal 250, Author.where(id: Author.ids).delete_all
  end

  def test_types
    author = Author.create!(name: 'types', tags: ['a', 'b "c"', ''], data: { 'k' => [1, nil] })
    author = Author.find(author.id)
    assert_equal [['a', 'b "c"', ''], { 'k' => [1, nil] }], [author.tags, author.data]
    assert_equal [author], Author.where('tags @> ARRAY[?]::varchar[]', ['a']).to_a
  end

  def test_errors_keep_the_connection
    connection.execute("set app.mark = 'mine'")
    assert_raises(ActiveRecord::NotNullViolation) { Author.create!(name: nil) }
    assert_raises(ActiveRecord::InvalidForeignKey) { Book.insert_all!([{ author_id: 12_345, title: 'x' }]) }
    assert_raises(ActiveRecord::StatementInvalid) { connection.select_value('selec') }
    connection.execute("set statement_timeout = '100ms'")
    assert_raises(ActiveRecord::QueryCanceled) { connection.execute('select pg_sleep(20)') }
    connection.execute('reset statement_timeout')
    assert_equal 'mine', connection.select_value("select current_setting('app.mark')")
  end

  def test_migrations
    migrate(CreateAuthors, CreateBooks, IndexConcurrently)
    assert connection.index_exists?(:books, :title)
    assert_raises(StandardError) { migrate(CreateAuthors, CreateBooks, IndexConcurrently, Failing) }
    refute connection.table_exists?(:never)
    migrate(CreateAuthors, CreateBooks, IndexConcurrently) # the failed one has left no lock
    cache = connection.schema_cache
    assert_equal %w[author_id id title], cache.columns('books').map(&:name).sort
  end

  def test_two_migrations_at_once
    connection.execute("select pg_advisory_lock(#{migrator([]).send(:generate_migrator_advisory_lock_id)})")
    failed = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection { migrate(CreateAuthors, CreateBooks, IndexConcurrently) }
      nil
    rescue ActiveRecord::ConcurrentMigrationError => e
      e
    end.value
    assert_kind_of ActiveRecord::ConcurrentMigrationError, failed
    connection.execute("select pg_advisory_unlock(#{migrator([]).send(:generate_migrator_advisory_lock_id)})")
    migrate(CreateAuthors, CreateBooks, IndexConcurrently)
    assert connection.index_exists?(:books, :title)
  end

  # The process that holds the migration lock is killed; the next migration gets the lock, and finds nothing half done.
  def test_killed_migration
    Dir.mktmpdir do |dir|
      mark = File.join(dir, 'mark')
      pid = Process.spawn({ 'HANGING' => mark }, RbConfig.ruby, '-W0', __FILE__, 'hang', out: File::NULL, err: File::NULL)
      begin
        Timeout.timeout(PATIENCE) { sleep 0.05 until File.exist?(mark) }
        assert_raises(ActiveRecord::ConcurrentMigrationError) { migrate(CreateAuthors, CreateBooks, IndexConcurrently) }
      ensure
        Process.kill(:KILL, pid)
        Process.wait(pid)
      end
      begin
        tries ||= Process.clock_gettime(Process::CLOCK_MONOTONIC)
        migrate(CreateAuthors, CreateBooks, IndexConcurrently)
      rescue ActiveRecord::ConcurrentMigrationError # the server notices a dead client when it has read its end
        retry if Process.clock_gettime(Process::CLOCK_MONOTONIC) - tries < PATIENCE
        raise
      end
      refute connection.table_exists?(:hanging)
      assert connection.index_exists?(:books, :title)
    end
  end
end

if ARGV.delete('hang')
  extend Migrating
  migrate(CreateAuthors, CreateBooks, Hanging)
else
  Minitest.autorun
end
