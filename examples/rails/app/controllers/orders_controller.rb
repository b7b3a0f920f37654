class OrdersController < ApplicationController
  def index
    @orders = Order.includes(:product).order(created_at: :desc).limit(20)
    @products = Product.order(:name)
    @latest = Order.where(created_at: 1.hour.ago..).count
  end

  def create
    order = Order.place(product_id: params.require(:product_id), quantity: params.require(:quantity))
    ConfirmJob.perform_async(order.id)
    redirect_to orders_path
  end
end
